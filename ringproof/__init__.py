"""ringproof: a verification suite for virtio transmit drivers.

``model`` says what holds, ``proofs`` why it holds, ``impl`` is what runs, and this package is what people
use: the command line, traces and validation. Imports point downward only.
"""

__version__ = "0.1.0"
