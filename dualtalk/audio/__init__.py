"""Analysis of speech audio: voice activity, diarization, speaker embedding, phonemes, prosody and turn-taking."""
