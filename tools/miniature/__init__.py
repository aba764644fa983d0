from modules.engine.torchvision_ops import declare_missing_ops

declare_missing_ops()
