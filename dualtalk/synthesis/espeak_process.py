"""Speech synthesis by libespeak-ng in a process of its own; run as a script.

The library keeps state between texts, so the same texts give the same bytes only in a new process. No Python
package provides its phoneme times; the C interface does (speak_lib.h).

Standard input: JSON, a list of {voice, text, words_per_minute, pitch}. Standard output, for each text: a line of
JSON {samples, rate_hz, phonemes: [[start_sample, ipa], ...]}, where an empty ipa is silence, then the samples as
16-bit integers.
"""

import ctypes
import json
import sys

SYNCHRONOUS = 2
PHONEME_EVENTS_IN_IPA = 1 | 2
RATE, PITCH = 1, 3
UTF8 = 1
CHARACTER_POSITION = 1
END_OF_LIST, PHONEME = 0, 7


class EspeakEvent(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


def main() -> None:
    library = ctypes.CDLL("libespeak-ng.so.1")
    rate_hz = library.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS_IN_IPA)
    if rate_hz <= 0:
        sys.exit("espeak-ng's data is missing")
    samples, phonemes = bytearray(), []

    def collect(wave, count, events):
        if wave and count > 0:
            samples.extend(ctypes.string_at(wave, 2 * count))
        index = 0
        while events[index].type != END_OF_LIST:
            if events[index].type == PHONEME:
                phonemes.append([events[index].sample, events[index].name.decode(errors="ignore")])
            index += 1
        return 0

    prototype = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(EspeakEvent)
    )
    callback = prototype(collect)
    library.espeak_SetSynthCallback(callback)
    for request in json.load(sys.stdin):
        samples.clear()
        phonemes.clear()
        if library.espeak_SetVoiceByName(request["voice"].encode()):
            sys.exit(f"espeak-ng has no voice {request['voice']}")
        library.espeak_SetParameter(RATE, request["words_per_minute"], 0)
        library.espeak_SetParameter(PITCH, request["pitch"], 0)
        text = request["text"].encode()
        library.espeak_Synth(text, len(text) + 1, 0, CHARACTER_POSITION, 0, UTF8, None, None)
        library.espeak_Synchronize()
        head = {"samples": len(samples) // 2, "rate_hz": rate_hz, "phonemes": phonemes}
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + samples)


if __name__ == "__main__":
    main()
