"""What a Chinese shop query means, before anything is looked for: pure functions over a lexicon. No model inside."""
