"""Prints the narrowband PESQ (ITU-T P.862, mapped by P.862.1) of each pair in a list of wave files."""

import sys
import wave

import numpy
from pesq import pesq


def samples(path):
    with wave.open(path) as file:
        return numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(numpy.float32)


for line in open(sys.argv[1]):
    said, heard = line.rstrip("\n").split("\t")
    print(pesq(8000, samples(said), samples(heard), "nb"))
