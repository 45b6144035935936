#!/bin/sh
# Makes musicot-codec/tests/fixtures: a fraction of a second of a known signal in every format that is decoded, and what ffmpeg decodes from the lossy
# files (raw 16-bit little-endian integers, interleaved). Made with ffmpeg 5.1.9 and SoX 14.4.2; other versions of the encoders give other bytes,
# the goldens then change with them.
#
#   sh musicot-codec/tests/reference/audio_fixtures.sh
set -eu
cd "$(dirname "$0")/../fixtures"
ff() { ffmpeg -hide_banner -loglevel error -y -bitexact "$@"; }

# A tone that rises from 200 Hz to 2 kHz, a steady one in the right channel, and a click at 0.1 s that shows any shift in time.
left='0.4*sin(2*PI*(200*t+900*t*t))+0.5*eq(n\,floor(R/10))'
right='0.3*sin(2*PI*523.25*t)'
signal() { # name rate channels seconds extra-arguments...
    name=$1 rate=$2 channels=$3 seconds=$4
    shift 4
    expressions=$(echo "$left" | sed "s/R/$rate/")
    [ "$channels" = 1 ] || expressions="$expressions|$right"
    ff -f lavfi -i "aevalsrc=exprs=$expressions:s=$rate:d=$seconds" -map_metadata -1 -fflags +bitexact -flags +bitexact "$@" "$name"
}

# Lossless: compared with each other, exactly.
signal mono_22k_s16.wav   22050 1 0.5 -c:a pcm_s16le
signal mono_8k_u8.wav      8000 1 0.5 -c:a pcm_u8
signal mono_22k_s24.wav   22050 1 0.4 -c:a pcm_s24le
signal mono_22k_f32.wav   22050 1 0.3 -c:a pcm_f32le
signal stereo_48k_s16.wav 48000 2 0.15 -c:a pcm_s16le
signal six_8k_s16.wav      8000 2 0.2 -af "pan=5.1|FL=c0|FR=c1|FC=0.5*c0|LFE=0.1*c1|BL=0.2*c0|BR=0.2*c1" -c:a pcm_s16le
ff -i mono_22k_s16.wav   -map_metadata -1 -c:a flac mono_22k_s16.flac
ff -i stereo_48k_s16.wav -map_metadata -1 -c:a flac stereo_48k_s16.flac
ff -i mono_22k_s24.wav   -map_metadata -1 -c:a flac -sample_fmt s32 -bits_per_raw_sample 24 mono_22k_s24.flac
ff -i stereo_48k_s16.wav -map_metadata -1 -c:a alac stereo_48k_alac.m4a
ff -i mono_22k_s16.wav   -map_metadata -1 -c:a alac mono_22k_alac.m4a

# Lossy: with goldens. vorbis, mp3 with and without a LAME tag, AAC with an edit list.
signal stereo_44k.ogg   44100 2 0.16 -c:a libvorbis -q:a 0 -page_duration 20000
signal mono_44k.mp3     44100 1 0.3 -c:a libmp3lame -b:a 64k
signal mono_44k_bare.mp3 44100 1 0.25 -c:a libmp3lame -b:a 64k -write_xing 0 -id3v2_version 0
signal stereo_48k.m4a   48000 2 0.14 -c:a aac -b:a 96k
signal mono_22k.mp3     22050 1 0.6 -c:a libmp3lame -b:a 32k
for name in stereo_44k.ogg mono_44k.mp3 mono_44k_bare.mp3 stereo_48k.m4a mono_22k.mp3; do
    ff -i "$name" -f f32le -c:a pcm_f32le "/tmp/golden.f32"
    # 16 bits are ample for the comparison's tolerance and half the size.
    sox -D -t f32 -r 48000 -c 1 /tmp/golden.f32 -t s16 "$name.s16"
done
rm -f /tmp/golden.f32

# Refused: a codec that is not decoded.
signal mono_48k_opus.ogg 48000 1 0.2 -c:a libopus -b:a 32k
ls -l
