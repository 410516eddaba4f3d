//! The fast CPU backend of Gannet.
