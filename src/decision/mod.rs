//! The reasons for a refusal: one closed list.

mod denial;
mod unmet_requirement;

pub(crate) use denial::Denial;
pub(crate) use denial::{Challenge, DenialClass, ErrorResponse};
pub(crate) use unmet_requirement::UnmetRequirement;
