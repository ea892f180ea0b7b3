//! A configuration written as google.protobuf.Struct. Envoy hands it to a module in protobuf's wire format.

use prost::Message;
use prost_types::Struct;
use prost_types::Value;
use prost_types::value::Kind;

use crate::base::Json;

/// The document in a serialized Struct; `None` if `bytes` are none, or an empty one. Nesting is limited to
/// 100 levels. A Struct has no duplicate keys: Envoy's YAML reader has dropped all but one before.
pub(super) fn decode(bytes: &[u8]) -> Option<Json> {
    let structure = Struct::decode(bytes).ok()?;
    (!structure.fields.is_empty()).then(|| object(structure))
}

fn object(structure: Struct) -> Json {
    Json::Object(structure.fields.into_iter().map(|(name, value)| (name, json(value))).collect())
}

fn json(value: Value) -> Json {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => Json::Bool(value),
        Some(Kind::NumberValue(value)) => serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number),
        Some(Kind::StringValue(value)) => Json::String(value),
        Some(Kind::ListValue(list)) => Json::Array(list.values.into_iter().map(json).collect()),
        Some(Kind::StructValue(structure)) => object(structure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_becomes_the_document_that_was_written() {
        let value = |kind| Value { kind: Some(kind) };
        let inner = Struct { fields: [("n".to_owned(), value(Kind::NumberValue(1.5)))].into() };
        let list = prost_types::ListValue {
            values: vec![value(Kind::BoolValue(true)), value(Kind::NullValue(0)), value(Kind::StructValue(inner))],
        };
        let structure = Struct {
            fields: [
                ("b".to_owned(), value(Kind::ListValue(list))),
                ("a".to_owned(), value(Kind::StringValue("x".to_owned()))),
            ]
            .into(),
        };
        let expected = Json::parse(br#"{"a":"x","b":[true,null,{"n":1.5}]}"#).unwrap();
        assert_eq!(decode(&structure.encode_to_vec()), Some(expected));
    }

    #[test]
    fn what_is_no_struct_is_not_decoded() {
        for bytes in [&b""[..], b"{}", b"\x0a", b"\x0a\xff\xff\xff\xff\x0f", b"\xff"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
