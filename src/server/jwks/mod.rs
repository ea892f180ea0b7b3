//! The keys of authorization servers between requests: fetched before traffic needs them, refreshed in time, and
//! shared among the workers of one proxy.

pub(crate) mod fetch;
pub(crate) mod source;
pub(crate) mod store;
