//! Names of parameters and cookies that an upstream may take for one another.

/// Whether an application might take one name of a parameter or cookie for the other: some ignore case, some turn
/// every byte that is no letter or digit into `_`, some stop at a NUL, some read `name[]` as a list of that name.
pub(super) fn is_alias(ours: &str, name: &str) -> bool {
    let name = name.split('\0').next().unwrap_or_default().trim();
    let list = name.split('[').next().unwrap_or_default();
    let fold = |b: u8| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'_' };
    let is = |name: &str| ours.bytes().map(fold).eq(name.bytes().map(fold));
    is(name) || is(list)
}
