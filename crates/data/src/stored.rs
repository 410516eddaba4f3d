//! Images as a format gives them.

use std::sync::Arc;

use crate::images::Images;

/// Images as they are stored, and their fingerprint.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The images.
    pub images: Arc<dyn Images>,
    /// What the files hold. Large files enter by samples.
    pub sha256: String,
}
