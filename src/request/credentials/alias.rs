//! Aliases of parameter and cookie names.

/// Returns whether an application may treat `name` as the configured parameter or cookie name: some ignore case, some
/// replace every byte other than letters and digits by `_`, some stop at a NUL, some read `name[]` as a list.
pub(super) fn is_alias(configured: &str, name: &str) -> bool {
    let name = name.split('\0').next().unwrap_or_default().trim();
    let list = name.split('[').next().unwrap_or_default();
    let fold = |b: u8| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'_' };
    let is = |name: &str| configured.bytes().map(fold).eq(name.bytes().map(fold));
    is(name) || is(list)
}
