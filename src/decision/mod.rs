//! Every reason for which a request is refused, in one closed list.

mod denial;
mod unmet_requirement;

pub use denial::Denial;
pub(crate) use denial::{Challenge, Class, ErrorResponse};
pub use unmet_requirement::UnmetRequirement;
