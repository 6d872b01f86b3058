"""raster.h5: spike rasters as SONATA files that appear whole or not at all."""

from eventsnn.files import raster_h5_layout as layout
from eventsnn.files.raster_h5_read import read_rasters
from eventsnn.files.raster_h5_writer import RasterWriter

__all__ = ["RasterWriter", "read_rasters", "write_rasters"]


def write_rasters(path, rasters, meta=None):
    """Write rasters to an HDF5 file; equal content gives equal bytes.

    Parameters
    ----------
    path : str or Path
        Final name. The file is written as `path + ".part"` and renamed when it is complete and on the disk.
    rasters : dict of str to SpikeRaster
        Silent populations belong in it too.
    meta : dict, optional
        Engine, seed, resolved scenario text, versions: texts, numbers, lists, dicts. Nothing is added to it.

    Raises
    ------
    RasterError
        A name or a value of `meta` cannot be stored.
    RunError
        The disk is full or the folder cannot be written; a file of this name stays as it was.
    """
    populations = {}
    for name, raster in layout.check_rasters(rasters).items():
        columns = layout.Columns(raster.times, raster.ids, raster.amplitudes, raster.offsets)
        populations[name] = (layout.Head.of(raster), columns)
    layout.write_file(path, populations, meta or {})
