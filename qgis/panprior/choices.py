"""Values of fusiontrain's flags that the dialogs offer; a test holds them to the program's own."""

METHODS = (
    *("net", "GSA", "EXP", "Brovey", "PCA", "GS", "BT-H", "PRACS", "BDSD", "BDSD-PC", "AWLP"),
    *("MTF-GLP", "MTF-GLP-FS", "MTF-GLP-CBD", "MTF-GLP-HPM", "MTF-GLP-HPM-R", "SR-D", "TV"),
)
TARGETS = ("auto", "scene", "sensor")
SOFTNESS = (0.05, 0.95)
