//! A filter for the tests: what Envoy's `verify_signature` says of signatures, and what Scopegate's own
//! verification says, compiled as it is in the module. The body of a request is a `Question`, that of the answer
//! has a `Verdict` for each signature.

#![expect(missing_docs, reason = "the entry point that the SDK's macro makes has none")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};
use scopegate::SignatureVerdict;
use scopegate::vectors::{Candidate, Keys, Unread};
use serde::{Deserialize, Serialize};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_http_context(|_, _| Box::new(Stream));
}}

#[derive(Deserialize)]
struct Question {
    /// The text of a JWK set.
    jwks: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Signature {
    Bare { alg: String, text: String, signature: String },
    Token { token: String },
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// What refuses it before any key is tried.
    Unread(&'static str),
    /// What the keys say that may have made it.
    Keys(Vec<Roads>),
}

#[derive(Serialize)]
struct Roads {
    /// `None`: the host is not asked.
    host: Option<&'static str>,
    module: bool,
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if end_of_stream {
            let body = self.get_http_request_body(0, size).unwrap_or_default();
            match answer(&body) {
                Ok(answer) => self.send_http_response(200, Vec::new(), Some(&answer)),
                Err(problem) => self.send_http_response(400, Vec::new(), Some(problem.as_bytes())),
            }
        }
        Action::Pause
    }
}

fn answer(body: &[u8]) -> Result<Vec<u8>, String> {
    let question: Question = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let keys = Keys::parse(question.jwks.as_bytes())?;
    let verdicts: Result<Vec<_>, _> = question.signatures.iter().map(|signature| judge(&keys, signature)).collect();
    serde_json::to_vec(&verdicts?).map_err(|error| error.to_string())
}

fn judge(keys: &Keys, signature: &Signature) -> Result<Verdict, String> {
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string());
    let candidates = match signature {
        Signature::Bare { alg, text, signature } => keys.judge(alg, &decode(text)?, &decode(signature)?),
        Signature::Token { token } => keys.judge_token(token),
    };
    Ok(match candidates {
        Err(Unread::Algorithm) => Verdict::Unread("algorithm"),
        Err(Unread::Token) => Verdict::Unread("token"),
        Ok(candidates) => Verdict::Keys(candidates.iter().map(roads).collect()),
    })
}

fn roads(candidate: &Candidate) -> Roads {
    let host = candidate.host_arguments.as_ref().map(|arguments| {
        let result = hostcalls::call_foreign_function("verify_signature", Some(arguments));
        match result
            .map(|result| result.map_or(SignatureVerdict::Unsupported, |result| SignatureVerdict::from_envoy(&result)))
        {
            Ok(SignatureVerdict::Valid) => "valid",
            Ok(SignatureVerdict::Invalid) => "invalid",
            Ok(SignatureVerdict::Unsupported) | Err(_) => "unable",
        }
    });
    Roads { host, module: candidate.is_valid }
}
