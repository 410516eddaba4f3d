//! The program as its users meet it: what it prints, what it writes, how it ends.

mod bad_files;
mod bad_input;
mod bench;
mod browser;
mod data;
mod evaluate;
mod explore;
mod export;
mod generate;
mod gpu;
mod live;
mod pictures;
mod presets;
mod program;
mod readme;
mod report;
mod resume;
mod serving;
mod static_server;
mod train;
mod tune;
mod web;
mod web_training;
