"""NFStream as `flow.py` measures it: capture -> flows -> statistics and SPLT -> CSV, one meter.

Deep packet inspection is off, as Cormorant does none; `to_csv` is NFStream's cheapest way out
(`to_pandas` writes the same CSV and reads it back). Usage: nfstream_flows.py CAPTURE OUT.csv
"""

import sys

from nfstream import NFStreamer

if __name__ == "__main__":
    flows = NFStreamer(
        source=sys.argv[1], statistical_analysis=True, splt_analysis=20, n_dissections=0, n_meters=1
    ).to_csv(path=sys.argv[2])
    print(flows)
