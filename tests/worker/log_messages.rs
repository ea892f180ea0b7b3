//! Log messages about refused requests.

use std::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};
use scopegate_fake_proxy::Proxy;

use crate::worker;

const UUID: &str = "2535c3a4-607f-44c3-b619-071E773D3775";

thread_local! {
    static MESSAGES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the messages of each thread, that is of each test.
struct Messages;

impl Log for Messages {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        MESSAGES.with_borrow_mut(|messages| messages.push(record.args().to_string()));
    }

    fn flush(&self) {}
}

/// Returns the messages about a request without a token, whose `x-request-id` has this value.
fn refusal(request_id: Option<&str>) -> Vec<String> {
    // This fails if another test has set the logger, which is the same.
    let _ = log::set_logger(&Messages);
    log::set_max_level(LevelFilter::Info);
    MESSAGES.take();
    let mut worker = worker(&Proxy::default(), "", "");
    worker.host.request_id = request_id.map(str::to_owned);
    let headers =
        [(":method", "GET"), (":path", "/"), (":authority", "a")].map(|(name, value)| (name, value.as_bytes()));
    let stream = worker.begin(scopegate::RequestHead { headers: &headers, route: None, has_body: false });
    assert_eq!(worker.status(stream), Some(401));
    MESSAGES.take()
}

#[test]
fn refusals_are_logged_with_the_request_id() {
    let expected = format!("request {UUID}: rule `r`: refused with 401: no_credentials");
    assert_eq!(refusal(Some(UUID)), [expected]);
}

#[test]
fn request_ids_that_are_not_uuids_are_not_logged() {
    let wrong_digit = UUID.replace('b', "g");
    let line_break = UUID.replace('b', "\n");
    let wide_character = UUID.replace("b6", "\u{e9}");
    let moved_hyphen = UUID.replace("4-6", "-46");
    let (longer, shorter) = (format!("{UUID}0"), UUID.trim_start_matches('2'));
    let ids =
        [&*wrong_digit, &line_break, &wide_character, &moved_hyphen, &longer, shorter, "", "x: rule `r`: permitted"];
    for id in ids.map(Some).into_iter().chain([None]) {
        assert_eq!(refusal(id), ["rule `r`: refused with 401: no_credentials"], "{id:?}");
    }
}
