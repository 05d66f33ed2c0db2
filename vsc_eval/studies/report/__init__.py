"""The report of a finished study: `report.md` with figures, one section or figure a file, `write.py` their order.

>>> write_report(read_results(folder), folder)
"""

from vsc_eval.studies.report.write import FIGURES_FOLDER, REPORT_FILE, write_report

__all__ = ["FIGURES_FOLDER", "REPORT_FILE", "write_report"]
