//! CORS preflights (Fetch standard, "CORS-preflight request"): a browser sends one, without credentials and without a
//! body, to learn whether it may send a request.

use super::head::RequestHead;

/// Returns the requested method of a CORS preflight; `None` if the request is not a preflight. OPTIONS alone does not
/// make one.
pub(crate) fn requested_method<'a>(head: RequestHead<'a>) -> Option<&'a [u8]> {
    let one = |name: &str| {
        let mut values = head.values(name);
        values.next().filter(|value| !value.is_empty() && values.next().is_none())
    };
    // An application could interpret such an OPTIONS request as another request.
    if head.has_body || OVERRIDES.iter().any(|name| head.values(name).next().is_some()) {
        return None;
    }
    let is_method = |value: &&[u8]| value.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'));
    one(":method").filter(|method| *method == b"OPTIONS")?;
    one("origin")?;
    one("access-control-request-method").filter(is_method)
}

/// Headers by which some applications override the method of a request.
const OVERRIDES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

#[cfg(test)]
mod tests {
    use super::*;

    fn method(headers: &[(&str, &str)]) -> Option<String> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let found = requested_method(RequestHead { headers: &headers, route: None, has_body: false });
        let with_body = requested_method(RequestHead { headers: &headers, route: None, has_body: true });
        assert_eq!(with_body, None);
        found.map(|method| String::from_utf8_lossy(method).into_owned())
    }

    #[test]
    fn preflights_have_origin_and_requested_method() {
        const OPTIONS: (&str, &str) = (":method", "OPTIONS");
        const ORIGIN: (&str, &str) = ("origin", "https://a.test");
        const POST: (&str, &str) = ("access-control-request-method", "POST");
        assert_eq!(method(&[OPTIONS, ORIGIN, POST]), Some("POST".to_owned()));
        for other in [
            &[OPTIONS][..],
            &[OPTIONS, ORIGIN],
            &[OPTIONS, POST],
            &[(":method", "GET"), ORIGIN, POST],
            &[OPTIONS, ORIGIN, ORIGIN, POST],
            &[OPTIONS, ORIGIN, POST, POST],
            &[OPTIONS, ORIGIN, ("access-control-request-method", "")],
            &[OPTIONS, ORIGIN, ("access-control-request-method", "PO ST")],
            &[OPTIONS, ("origin", ""), POST],
            &[OPTIONS, ORIGIN, POST, ("x-http-method-override", "POST")],
        ] {
            assert_eq!(method(other), None, "{other:?}");
        }
    }
}
