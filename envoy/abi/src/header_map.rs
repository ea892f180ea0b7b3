//! The call that returns all headers of a message.

/// Returns the headers of a message in the encoding of the ABI, empty if there are none; `None` if the host returns an
/// error.
///
/// `map` is one of the ABI's `proxy_header_map_type_t`.
#[expect(unsafe_code, reason = "the host writes into memory")]
pub fn header_map(map: u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: both pointers are valid during the call, in which the host writes to them.
    let status = unsafe { proxy_get_header_map_pairs(map, &raw mut data, &raw mut size) };
    if status != OK {
        return None;
    }
    if data.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: the host has allocated exactly `size` bytes with `proxy_on_memory_allocate`, has initialized them, and
    // transfers their ownership to the caller. The SDK allocates them as a boxed slice with the global allocator.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

#[link(wasm_import_module = "env")]
#[expect(unsafe_code, reason = "the host is foreign")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
}

/// `proxy_status_t`
const OK: u32 = 0;
