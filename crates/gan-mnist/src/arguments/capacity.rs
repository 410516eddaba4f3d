//! How large networks are that follow the pictures.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use gannet::recipe::Capacity;

/// Parses `small`, `medium` or `large`.
pub fn capacity() -> impl TypedValueParser<Value = Capacity> {
    PossibleValuesParser::new(Capacity::ALL.map(Capacity::name)).map(|name| {
        // The parser lets nothing but these through.
        Capacity::ALL.into_iter().find(|capacity| capacity.name() == name).unwrap_or_default()
    })
}
