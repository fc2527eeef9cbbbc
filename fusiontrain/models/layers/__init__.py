"""Layers of several networks: convolution, attention, state-space scans, polyphase images."""
