//! As much of a browser as the pages of identity servers need: cookies, redirects, forms. No script, no TLS.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::{Request, Response, send};

const MAX_STEPS: usize = 20;

/// Where a sequence of redirects and forms ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// At a redirect to another server, with its address.
    Redirect(String),
    /// At a form that a script would submit to another server.
    Form { action: String, fields: Vec<(String, String)> },
    /// At a page without a form.
    Page(String),
}

impl Arrival {
    /// Returns the rest of the redirect after `address`. Any other arrival fails the test.
    #[track_caller]
    pub fn redirect_to(&self, address: &str) -> String {
        let rest = if let Self::Redirect(location) = self { location.strip_prefix(address) } else { None };
        rest.unwrap_or_else(|| panic!("no redirect to {address}: {self:?}")).to_owned()
    }

    /// Returns the fields of the form for another server. Any other arrival fails the test.
    #[track_caller]
    pub fn form(&self) -> BTreeMap<String, String> {
        if let Self::Form { fields, .. } = self {
            fields.iter().cloned().collect()
        } else {
            panic!("no form for another server: {self:?}")
        }
    }

    /// Returns the last page. Any other arrival fails the test.
    #[track_caller]
    pub fn page(&self) -> &str {
        if let Self::Page(page) = self { page } else { panic!("no page: {self:?}") }
    }
}

/// The browser of one user at one server.
pub struct Browser<'a> {
    addr: SocketAddr,
    cookies: BTreeMap<String, String>,
    typed: BTreeMap<&'a str, &'a str>,
    ticked: &'a [&'a str],
}

impl<'a> Browser<'a> {
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, cookies: BTreeMap::new(), typed: BTreeMap::new(), ticked: &[] }
    }

    /// Sets the text that the user types into the fields with this name.
    pub fn types(mut self, field: &'a str, text: &'a str) -> Self {
        self.typed.insert(field, text);
        self
    }

    /// The checkboxes that the user leaves ticked, by their values; all others are unticked.
    pub fn ticks(mut self, values: &'a [&'a str]) -> Self {
        self.ticked = values;
        self
    }

    /// Follows redirects and submits forms by their first button, until one leads to another server or none is left.
    #[track_caller]
    pub fn walk(&mut self, start: &str) -> Arrival {
        let mut path = start.to_owned();
        let mut form = None;
        for _ in 0..MAX_STEPS {
            let response = self.visit(&path, form.take());
            if let Some(location) = response.header("location") {
                match self.own_path(&path, &location) {
                    Some(own) => path = own,
                    None => return Arrival::Redirect(location),
                }
                continue;
            }
            let page = response.text();
            assert_eq!(response.status, 200, "{path}: {page}");
            let Some((action, fields)) = self.fill_in(&page) else {
                return Arrival::Page(page);
            };
            match self.own_path(&path, &action) {
                Some(own) => (path, form) = (own, Some(fields)),
                None => return Arrival::Form { action, fields },
            }
        }
        panic!("the walk does not come to an end; last at {path}");
    }

    /// The path that a link on a page of this server means; `None` if it leads elsewhere.
    fn own_path(&self, page: &str, link: &str) -> Option<String> {
        let link = link.strip_prefix(&format!("http://{}", self.addr)).unwrap_or(link);
        let (here, _) = page.split_once('?').unwrap_or((page, ""));
        match link {
            "" => Some(page.to_owned()),
            _ if link.starts_with('/') => Some(link.to_owned()),
            _ if link.starts_with('?') => Some(format!("{here}{link}")),
            _ => None,
        }
    }

    #[track_caller]
    fn visit(&mut self, path: &str, form: Option<Vec<(String, String)>>) -> Response {
        let request = form.map_or_else(
            || Request::get(path),
            |form| {
                let pairs: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                Request::form(path, &pairs)
            },
        );
        self.send(request)
    }

    /// Sends one request with the cookies of the server, and keeps those that come back.
    #[track_caller]
    pub fn send(&mut self, request: Request) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = send(self.addr, &request.host(self.addr.to_string()).header("cookie", cookies.join("; ")));
        for cookie in response.headers_named("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap_or_default().split_once('=').expect("a cookie");
            // An empty value is how the server takes a cookie back.
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        response
    }

    /// Where the one form of the page goes, and its fields as the user fills them in; `None` for a page without a form.
    fn fill_in(&self, page: &str) -> Option<(String, Vec<(String, String)>)> {
        // A tag may go over several lines.
        let page = page.replace(['\r', '\n', '\t'], " ");
        let tags = || page.split('<').filter_map(|piece| piece.split('>').next());
        let form = tags().find(|tag| tag.starts_with("form "))?;
        let mut fields = Vec::new();
        let mut pressed = false;
        for tag in tags() {
            let (name, value) = (attribute(tag, "name"), attribute(tag, "value").unwrap_or_default());
            let kind = attribute(tag, "type").unwrap_or_default();
            if tag.starts_with("button") || kind == "submit" {
                if std::mem::replace(&mut pressed, true) {
                    continue;
                }
            } else if !tag.starts_with("input ") || (kind == "checkbox" && !self.ticked.contains(&value.as_str())) {
                continue;
            }
            // Fields without a name are not submitted.
            let Some(name) = name else {
                continue;
            };
            let typed = self.typed.get(name.as_str()).map(|text| (*text).to_owned());
            fields.push((name, typed.unwrap_or(value)));
        }
        Some((attribute(form, "action").unwrap_or_default(), fields))
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&#039;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}
