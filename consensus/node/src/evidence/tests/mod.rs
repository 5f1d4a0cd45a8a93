//! The format, the verdicts, and the vectors beside `EVIDENCE.md`.

mod cases;
mod vectors;
mod verdicts;
