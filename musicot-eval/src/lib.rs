//! Measures for audio, plans and models.
