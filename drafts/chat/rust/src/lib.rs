pub mod chat;
pub mod python_text;
