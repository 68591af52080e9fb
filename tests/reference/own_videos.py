"""A collection of a user's own, as it stands in a module beside mcvd."""

from mcvd.data import DrivingScenes


class Squares(DrivingScenes):
    """Three short videos."""

    def __init__(self):
        super().__init__(num_videos=3, num_frames=12)
