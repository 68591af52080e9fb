"""Readers of videos: PyAV, Decord, TorchCodec and folders of frames, behind one `AbstractReader`."""
