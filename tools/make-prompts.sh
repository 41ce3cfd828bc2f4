#!/usr/bin/env bash
# Makes the prompts of the demo carrier again: src/carrier/prompts/*.wav, 8 kHz, mono, 16 bit, spoken by
# espeak-ng and levelled by sox. Both are packages of Debian and Ubuntu. Not part of the build.
set -euo pipefail
cd "$(dirname "$0")/../src/carrier/prompts"

# -16 dBm0 over the active part. 0 dBm0 is 3.17 dB below a full-scale sine (ITU-T G.711), whose RMS is
# 3.01 dB below full scale: -16 - 3.17 - 3.01.
level_db=-22.18

say() { # name, text
    local name=$1 text=$2 rms gain
    espeak-ng -v en-us -s 150 -p 45 -a 60 --stdout "$text" > "$name.raw.wav"
    sox "$name.raw.wav" -c 1 -r 8000 -b 16 "$name.trim.wav" \
        highpass 150 silence 1 0.02 0.3% reverse silence 1 0.02 0.3% reverse
    rms=$(sox "$name.trim.wav" -n stats 2>&1 | awk '/^RMS lev dB/ {print $4}')
    gain=$(awk -v want="$level_db" -v is="$rms" 'BEGIN {print want - is}')
    # Dither off: the files are the same each time.
    sox -D "$name.trim.wav" "$name.wav" gain "$gain" fade t 0.005 -0 0.01 pad 0 0.06
    rm "$name.raw.wav" "$name.trim.wav"
}

i=0
for word in zero one two three four five six seven eight nine; do
    say "digit-$i" "$word"
    i=$((i + 1))
done
say digit-star "star"
say digit-pound "pound"
for letter in a b c d; do say "digit-$letter" "${letter^^}."; done

say menu "Welcome to Crosspoint. Press one for a tone, two to hear me count, or three to learn where you are. Press star to hear this again, or pound to end."
say about "You are on the demo carrier. Your voice came here as telephone sound, over S.I.P. and R.T.P."
say pressed "You pressed"
say invalid "That is not a choice."
say goodbye "Goodbye."
say enter-digits "Enter digits, then press pound."
say no-digits "I received no digits."
say unavailable "The person you are calling is not available. Please try again later."
say call-back "I will call you back. Goodbye."
say greeting "Hello. Here is the call you asked for. Speak, and you will hear yourself."

say bank-pin "Welcome to the example bank. Enter your pin, then press pound."
say bank-wrong-pin "This pin is not correct."
say bank-main "Press one for your balance, or two to send money. Press nine to end."
say bank-balance "Your balance is one hundred and twenty euros."
say bank-blocked "Your card has been blocked since last Friday."
say bank-amount "How many euros do you want to send? Press pound at the end."
say bank-thanks "Thank you. The money is on its way."
say bank-hold "All our agents are talking. Please hold the line."
