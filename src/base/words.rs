//! Closed lists of words: an enum whose every variant has a word for metrics and logs.

/// Defines an enum with a word for each variant: `ALL` lists the variants, `as_str` returns the word. One list serves
/// both, so that no variant can be left out of the metrics.
macro_rules! words {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident { $( $(#[$doc:meta])* $variant:ident = $word:literal, )+ }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        $visibility enum $name { $( $(#[$doc])* $variant, )+ }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The word for it in metrics and logs.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }
    };
}

pub(crate) use words;
