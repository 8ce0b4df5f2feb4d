"""Sound: wave files, the clock that ties samples to motion frames, who speaks when, phonemes and prosody."""
