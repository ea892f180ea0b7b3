//! Every reason for which a request is refused, in one closed list.

mod denial;
mod unmet_requirement;

pub(crate) use denial::Denial;
pub(crate) use denial::{Challenge, DenialClass, ErrorResponse};
pub(crate) use unmet_requirement::UnmetRequirement;
