//! Decoder for serialized header maps (proxy-wasm ABI 0.2.1): the number of pairs, the lengths of each name and value,
//! then each name and value followed by a NUL. All numbers are 32-bit little-endian.

/// Returns the headers in a buffer, in order; `None` if the encoding is invalid, or if a name is not UTF-8. An empty
/// buffer means that there are no headers.
pub fn header_pairs(buffer: &[u8]) -> Option<Vec<(&str, &[u8])>> {
    if buffer.is_empty() {
        return Some(Vec::new());
    }
    let (count, rest) = number(buffer)?;
    let (lengths, mut texts) = rest.split_at_checked(count.checked_mul(2 * NUMBER)?)?;
    let mut pairs = Vec::with_capacity(count);
    for lengths in lengths.chunks_exact(2 * NUMBER) {
        let (name, lengths) = number(lengths)?;
        let (value, _) = number(lengths)?;
        let name = text(&mut texts, name)?;
        pairs.push((std::str::from_utf8(name).ok()?, text(&mut texts, value)?));
    }
    texts.is_empty().then_some(pairs)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<NUMBER>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn text<'a>(texts: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (text, rest) = texts.split_at_checked(length)?;
    let (0, rest) = rest.split_first()? else { return None };
    *texts = rest;
    Some(text)
}

const NUMBER: usize = size_of::<u32>();

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(pairs: &[(String, Vec<u8>)]) -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut buffer = number(pairs.len()).to_vec();
        for (name, value) in pairs {
            buffer.extend(number(name.len()));
            buffer.extend(number(value.len()));
        }
        for (name, value) in pairs {
            buffer.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
        }
        buffer
    }

    #[test]
    fn invalid_encodings_are_rejected() {
        let good = encode(&[("a".to_owned(), b"\xff\0".to_vec()), ("a".to_owned(), Vec::new())]);
        assert_eq!(header_pairs(&good), Some(vec![("a", &b"\xff\0"[..]), ("a", b"")]));
        assert_eq!(header_pairs(&[0; 4]), Some(Vec::new()));
        assert_eq!(header_pairs(&[]), Some(Vec::new()));
        for length in 1..good.len() {
            assert_eq!(header_pairs(&good[..length]), None, "{length}");
        }
        for buffer in [&[&good[..], b"x"].concat()[..], &[0xff; 4], &[0xff; 64]] {
            assert_eq!(header_pairs(buffer), None);
        }
        let name_is_not_utf8 = [&[1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0][..], b"\xff\0\0"].concat();
        assert_eq!(header_pairs(&name_is_not_utf8), None);
    }

    proptest! {
        #[test]
        fn encoded_headers_round_trip(pairs: Vec<(String, Vec<u8>)>) {
            let buffer = encode(&pairs);
            let read = header_pairs(&buffer).unwrap();
            prop_assert!(read.into_iter().eq(pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice()))));
        }

        #[test]
        fn corrupt_bytes_do_not_panic(pairs: Vec<(String, Vec<u8>)>, place: prop::sample::Index, byte: u8) {
            let mut buffer = encode(&pairs);
            *place.get_mut(&mut buffer) = byte;
            let _ = header_pairs(&buffer);
        }
    }
}
