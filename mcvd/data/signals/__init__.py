"""Numbers that are told beside the frames of videos: tables, labels, captions."""
