//! A user at the pages of oidc-provider.

use std::net::SocketAddr;

use super::Browser;

/// The input of a user on the login and consent pages.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub user: &'a str,
    pub password: &'a str,
    /// The scopes that the client requests.
    pub asked: &'a [&'a str],
    /// The requested scopes that the user leaves ticked.
    pub approved: &'a [&'a str],
}

impl<'a> Login<'a> {
    /// Everything asked for is approved.
    pub fn new(user: &'a str, password: &'a str, asked: &'a [&'a str]) -> Self {
        Self { user, password, asked, approved: asked }
    }

    pub fn approves(mut self, scopes: &'a [&'a str]) -> Self {
        self.approved = scopes;
        self
    }

    pub(super) fn browser(&self, addr: SocketAddr) -> Browser<'a> {
        Browser::new(addr).types("username", self.user).types("password", self.password).ticks(self.approved)
    }
}
