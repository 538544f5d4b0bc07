"""Makes the JPEG images of this folder, and what Pillow reads of them as PNG images.

    pip install pillow numpy
    python make_jpeg.py

Made with Pillow 13.0.0 (libjpeg-turbo 3.2.0) and numpy 2.4.6.
"""

import pathlib

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).parent


def main():
    h, w = np.mgrid[0:20, 0:28]
    planes = [(9 * h + 3 * w) % 256, 255 - 8 * w, 128 + 100 * np.sin(h / 4)]
    rgb = Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))
    images = {
        "grey": (rgb.convert("L"), {}),
        "rgb": (rgb, {"subsampling": 0}),
        "subsampled": (rgb, {"subsampling": 2}),
        "progressive": (rgb, {"progressive": True, "subsampling": 0}),
        "cmyk": (rgb.convert("CMYK"), {}),
    }
    for name, (image, options) in images.items():
        path = HERE / f"{name}.jpg"
        image.save(path, quality=90, **options)
        read = Image.open(path)
        read.convert("L" if name == "grey" else "RGB").save(HERE / f"{name}.png")


if __name__ == "__main__":
    main()
