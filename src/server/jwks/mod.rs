//! The keys of authorization servers: fetched before requests need them, refreshed in time, and shared among the
//! workers of one proxy.

pub(crate) mod fetch;
pub(crate) mod source;
pub(crate) mod store;
