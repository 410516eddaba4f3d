//! Shapes, graphs, differentiation, programs and the reference backend of Gannet.
