//! This file lets a type say once how it is written and read: its fields in order, its variants by
//! number.
//!
//! A field or variant that is forgotten in such a description does not compile.

/// An enum without data: each word's number.
macro_rules! words {
    ($type:ident { $first:ident = 0 $(, $word:ident = $number:literal)* }) => {
        impl<'f> $crate::wire::Value<'f> for $type {
            const EMPTY: Self = Self::$first;

            fn pass(&mut self, wire: &mut $crate::wire::Wire<'f, '_>) {
                let number = match self {
                    Self::$first => 0,
                    $(Self::$word => $number),*
                };
                *self = match wire.choice(number, [0, $($number),*].len()) {
                    $($number => Self::$word,)*
                    _ => Self::$first,
                }
            }
        }
    };
}

/// A struct: its fields in order.
macro_rules! fields {
    ($type:ident $(<$life:lifetime>)? { $($field:tt),+ }) => {
        impl<'f> $crate::wire::Value<'f> for $type $(<$life>)? {
            const EMPTY: Self = Self { $($field: $crate::wire::Value::EMPTY),+ };

            fn pass(&mut self, wire: &mut $crate::wire::Wire<'f, '_>) {
                $(self.$field.pass(wire);)+
            }
        }
    };
}

/// An enum with data: each variant's number and what follows it; and what a reader goes on with
/// after an unknown number. Attributes say where a variant is left out.
macro_rules! variants {
    ($type:ident $(<$life:lifetime>)?, $empty:expr => { $(
        $(#[$attribute:meta])*
        $number:literal => $variant:ident $(($($item:ident),+))? $({ $($field:ident),+ })?
    ),+ $(,)? }) => {
        impl<'f> $crate::wire::Value<'f> for $type $(<$life>)? {
            const EMPTY: Self = $empty;

            fn pass(&mut self, wire: &mut $crate::wire::Wire<'f, '_>) {
                let number = match self { $($(#[$attribute])* Self::$variant { .. } => $number),+ };
                let passed = wire.word(number);
                if passed != number {
                    *self = match passed {
                        $($(#[$attribute])* $number => Self::$variant
                            $(($({ let $item = $crate::wire::Value::EMPTY; $item }),+))?
                            $({ $($field: $crate::wire::Value::EMPTY),+ })?,)+
                        _ => wire.bad_word(Self::EMPTY),
                    }
                }
                match self {
                    $($(#[$attribute])* Self::$variant $(($($item),+))? $({ $($field),+ })? => {
                        $($($item.pass(wire);)+)?
                        $($($field.pass(wire);)+)?
                    })+
                }
            }
        }
    };
}

pub(crate) use {fields, variants, words};
