"""Pictures with captions that a training learns from: a folder of picture files, each with a `.txt` of its name.

`folder` reads one, `doctor` says what is wrong with it, `fitting` and `opening` make what is trained from a picture.
The artist's pictures are never changed: what is decided about them stands in `notes`.
"""
