//! URLs of introspection endpoints, taken apart as Scopegate wants them.

/// Where an endpoint is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) tls: bool,
    /// `host:port`, which names the cluster that leads there.
    pub(super) cluster: String,
    /// The host as it is written, for the Host of requests.
    pub(super) authority: String,
    /// With the query, if there is one.
    pub(super) path: String,
}

impl Endpoint {
    /// Parses an absolute URL.
    ///
    /// # Errors
    /// The problem and its remedy; never the URL, which may contain a password.
    pub(super) fn parse(url: &str) -> Result<Self, (&'static str, &'static str)> {
        const NO_URL: (&str, &str) =
            ("invalid URL", "expected an http or https URL such as https://as.example.com:8443/introspect");
        let (scheme, rest) = url.split_once("://").ok_or(NO_URL)?;
        let (tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (true, "443"),
            "http" => (false, "80"),
            _ => return Err(NO_URL),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(NO_URL)?;
        if authority.contains('@') {
            return Err(("has credentials in it", "move them to clientId and clientSecret"));
        }
        if path.contains('#') || !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(("has a path that no request can have", "percent-encode it, and leave out what follows a #"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            // The last colon of an IPv6 address is not that of a port.
            Some((host, port)) if !port.ends_with(']') => (host, port),
            Some(_) | None => (authority, default_port),
        };
        let is_address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|address| {
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
        });
        let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        if !(is_address || is_name) || !port.bytes().all(|b| b.is_ascii_digit()) || port.parse::<u16>().is_err() {
            return Err(NO_URL);
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            tls,
            cluster: format!("{host}:{port}"),
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_its_cluster_leads() {
        for (url, tls, cluster, authority, path) in [
            ("https://as.test", true, "as.test:443", "as.test", "/"),
            ("http://as.test/a/b", false, "as.test:80", "as.test", "/a/b"),
            ("HTTPS://as.test:5543/a?b=c", true, "as.test:5543", "as.test:5543", "/a?b=c"),
            ("https://as.test?b", true, "as.test:443", "as.test", "/?b"),
            ("https://[::1]/a", true, "[::1]:443", "[::1]", "/a"),
            ("http://[::1]:8080/a", false, "[::1]:8080", "[::1]:8080", "/a"),
        ] {
            let expected = Endpoint { tls, cluster: cluster.into(), authority: authority.into(), path: path.into() };
            assert_eq!(Endpoint::parse(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn invalid_urls_are_refused_without_repeating_them() {
        for url in [
            "",
            "as.test/a",
            "ftp://as.test/",
            "https://",
            "https:///a",
            "https://<HOST>:<PORT>/a",
            "https://${host}/a",
            "https://as.test:/a",
            "https://as.test:x/a",
            "https://as.test:99999/a",
            "https://[::1/a",
            "https://[]/a",
            "https://gateway:tr0ub4dor@as.test/a",
            "https://as.test/a b",
            "https://as.test/#a",
            "https://as.test/ä",
        ] {
            let (problem, hint) = Endpoint::parse(url).unwrap_err();
            assert!(!format!("{problem}{hint}").contains("tr0ub4dor"), "{url}");
        }
    }
}
