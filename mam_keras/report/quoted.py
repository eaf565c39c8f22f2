"""Figures printed by others, which stand beside a run's own marked as quoted. Nothing here was measured by us."""

METHODS = ("Kimura & Tanaka", "MT-RBM PCA", "LNets+ANet", "FaceTracer")

# Accuracy in percent of each of `METHODS` on CelebA's test images, by CelebA's name of the attribute: 1904.13078, table
# 3, which is 1905.02719, table 4. First the name that the papers print.
ACCURACY = {
    "5_o_Clock_Shadow": ("5 Shadow", 92.85, 90, 91, 85),
    "Arched_Eyebrows": ("Arched Eyebrows", 81.37, 77, 79, 76),
    "Attractive": ("Attractive", 80.71, 76, 81, 78),
    "Bags_Under_Eyes": ("Bags Under Eyes", 83.79, 81, 79, 76),
    "Bald": ("Bald", 98.30, 98, 98, 89),
    "Bangs": ("Bangs", 94.10, 88, 95, 88),
    "Big_Lips": ("Big Lips", 70.14, 69, 68, 64),
    "Big_Nose": ("Big Nose", 83.67, 81, 78, 74),
    "Black_Hair": ("Black Hair", 88.39, 76, 88, 70),
    "Blond_Hair": ("Blond Hair", 95.10, 91, 95, 80),
    "Blurry": ("Blurry", 95.33, 95, 84, 81),
    "Brown_Hair": ("Brown Hair", 86.55, 83, 80, 60),
    "Bushy_Eyebrows": ("Bushy Eyebrows", 91.87, 88, 90, 80),
    "Chubby": ("Chubby", 96.02, 95, 91, 86),
    "Double_Chin": ("Double Chin", 96.68, 96, 92, 88),
    "Eyeglasses": ("Eyeglasses", 98.67, 96, 99, 98),
    "Goatee": ("Goatee", 96.72, 96, 95, 93),
    "Gray_Hair": ("Gray Hair", 97.89, 97, 97, 90),
    "Heavy_Makeup": ("Heavy Makeup", 89.49, 85, 90, 85),
    "High_Cheekbones": ("High Cheekbone", 86.77, 83, 87, 84),
    "Male": ("Male", 97.38, 90, 98, 91),
    "Mouth_Slightly_Open": ("Mouth Open", 93.67, 82, 92, 87),
    "Mustache": ("Mustache", 96.60, 97, 95, 91),
    "Narrow_Eyes": ("Narrow Eyes", 86.38, 86, 81, 82),
    "No_Beard": ("No Beard", 94.87, 90, 95, 90),
    "Oval_Face": ("Oval Face", 73.33, 73, 66, 64),
    "Pale_Skin": ("Pale Skin", 97.67, 96, 91, 83),
    "Pointy_Nose": ("Pointy Nose", 75.62, 73, 72, 68),
    "Receding_Hairline": ("Recede Hair", 93.44, 96, 89, 76),
    "Rosy_Cheeks": ("Rosy Cheeks", 94.67, 94, 90, 84),
    "Sideburns": ("Sideburns", 97.65, 96, 96, 94),
    "Smiling": ("Smiling", 92.28, 88, 92, 89),
    "Straight_Hair": ("Straight Hair", 81.60, 80, 73, 63),
    "Wavy_Hair": ("Wavy Hair", 81.64, 72, 80, 73),
    "Wearing_Earrings": ("Earring", 84.61, 81, 82, 73),
    "Wearing_Hat": ("Hat", 98.92, 97, 99, 89),
    "Wearing_Lipstick": ("Lipstick", 92.52, 89, 93, 89),
    "Wearing_Necklace": ("Necklace", 86.37, 87, 71, 68),
    "Wearing_Necktie": ("Necktie", 96.30, 94, 93, 86),
    "Young": ("Young", 87.00, 81, 87, 80),
}

PRINTED_AVERAGE = (92.05, 87, 87, 81)  # the tables' last row

# Average accuracy in percent: 1905.02719, table 1. (reconstructor, multi-label head): (the name printed, value)
ABLATION = {
    (True, True): ("Ours", 92.05),
    (False, True): ("Ours w/o Reconstructor", 89.14),
    (True, False): ("Ours w/o Multi-label classifier", 88.12),
    (False, False): ("Ours w/o Reconstructor & Multi-label classifier", 86.58),
}

# The five attributes whose masks are most like a target's: 1904.13078, table 2, which is 1905.02719, table 3.
NEAREST_ATTRIBUTES = {
    "Black_Hair": ("Blond Hair", "Brown Hair", "Bald", "Wearing Hat", "Gray Hair"),
    "Heavy_Makeup": ("Wearing Lipstick", "Male", "Rosy Cheeks", "Attractive", "Young"),
    "Bushy_Eyebrows": ("Bags Under Eyes", "Eyeglasses", "Arched Eyebrows", "Heavy Makeup", "Attractive"),
}

# Accuracy in percent of test images, E1 (both attributes) and E2 (the first without the second): 1905.00593, table 1.
# First the attribute that was directed.
DIRECTED = {
    ("Wearing_Lipstick", "Heavy_Makeup"): {
        "Pre-trained": (92.90, 98.06, 82.17),
        "Center loss": (93.26, 98.29, 83.23),
        "IoU loss": (93.25, 98.31, 83.31),
    },
    ("High_Cheekbones", "Smiling"): {"Pre-trained": (63.53, 70.22, 47.41), "IoU loss": (65.56, 71.42, 61.33)},
    ("Double_Chin", "Chubby"): {"Pre-trained": (84.18, 90.92, 81.77), "IoU loss": (84.79, 94.32, 86.45)},
}
