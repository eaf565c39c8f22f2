"""A PyTorch twin of configs/celeba_small.yaml, run by `twin.py` in an environment of its own. Imports nothing of ours.

The network, its losses and its optimizer as a PyTorch user would write them: all K masks of a batch in one matrix
product, kept for the backward pass; channels last, AdamW with fused updates, and `torch.compile` if asked for.

It reads lines from standard input, and answers each with one line:

    load FILE      weights, images and labels of an .npz -> the loss of that batch
    train STEPS    -> seconds of STEPS training steps
    answer TIMES   -> seconds of TIMES answers about the batch
"""

import argparse
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Sequential):
    """3x3 convolution, normalisation, ReLU; strided ones pad as TensorFlow does, behind alone."""

    def __init__(self, inputs, outputs, stride=1, dilation=1):
        padding = [nn.ZeroPad2d((0, 1, 0, 1))] if stride == 2 else []
        convolution = nn.Conv2d(
            inputs, outputs, 3, stride, 0 if stride == 2 else dilation, dilation=dilation, bias=False
        )
        super().__init__(*padding, convolution, nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.05), nn.ReLU())


class Twin(nn.Module):
    def __init__(self, attributes, channels, front_end, dilations):
        super().__init__()
        widths, context = [3, *front_end], [front_end[-1], *[channels] * len(dilations)]
        self.features = nn.Sequential(
            *[Block(*widths[at : at + 2], stride=2) for at in range(len(front_end))],
            *[Block(*context[at : at + 2], dilation=dilation) for at, dilation in enumerate(dilations)],
        )
        self.masks = nn.Linear(channels, attributes * channels)
        self.kernel = nn.Parameter(torch.empty(attributes, channels))
        self.bias = nn.Parameter(torch.zeros(attributes))
        self.multi_label = nn.Linear(channels, attributes)
        self.reconstruction = nn.Conv2d(channels, 3 * 4 ** len(front_end), 3, padding=1)
        self.stride = 2 ** len(front_end)

    def forward(self, images):
        features = self.features(images)
        count, channels, height, width = features.shape
        rows = features.permute(0, 2, 3, 1).reshape(-1, 1, channels)
        masks = self.masks(rows).sigmoid().view(-1, *self.kernel.shape)
        scores = ((1 + masks) * rows * self.kernel).sum(-1)
        logits = scores.view(count, height * width, -1).mean(1) + self.bias
        multi_label = self.multi_label(features.mean((2, 3)))
        blocks = self.reconstruction(features).permute(0, 2, 3, 1)
        blocks = blocks.reshape(count, height, width, self.stride, self.stride, 3).permute(0, 1, 3, 2, 4, 5)
        reconstruction = blocks.reshape(count, height * self.stride, width * self.stride, 3).sigmoid()
        return logits, multi_label, reconstruction, masks.sum() / count


def loss_of(outputs, images, labels, weights):
    logits, multi_label, reconstruction, mask_sum = outputs
    alpha, beta, gamma, sparsity = weights
    first, second = (
        functional.binary_cross_entropy_with_logits(found, labels, reduction="sum") / len(labels)
        for found in (logits, multi_label)
    )
    error = (images.permute(0, 2, 3, 1) - reconstruction).square().mean()
    return alpha * first + beta * second + gamma * error + sparsity * mask_sum


class Trainee:
    def __init__(self, arguments):
        torch.set_num_threads(arguments.threads)
        self.plain = Twin(arguments.attributes, arguments.channels, arguments.front_end, arguments.dilations)
        self.plain = self.plain.to(memory_format=torch.channels_last)
        self.weights = arguments.weights
        self.compile = torch.compile if arguments.compile else lambda function: function
        self.network = self.compile(self.plain)
        spared = [one for name, one in self.plain.named_parameters() if "bias" in name or one.ndim == 1]
        decayed = [one for one in self.plain.parameters() if all(one is not other for other in spared)]
        groups = [{"params": decayed, "weight_decay": 0.02}, {"params": spared, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=2e-3, eps=1e-7, fused=True)

    def load(self, file):
        """Weights in the order in which `twin.py` writes them, and the batch; its loss, in training mode."""
        found = np.load(file)
        arrays = iter(torch.from_numpy(found[f"weight_{number}"]) for number in range(len(found.files) - 2))
        with torch.no_grad():
            for block in self.plain.features:
                *_, convolution, normalization, _ = block
                convolution.weight.copy_(next(arrays).permute(3, 2, 0, 1))
                normalization.weight.copy_(next(arrays))
                normalization.bias.copy_(next(arrays))
            self.plain.reconstruction.weight.copy_(next(arrays).permute(3, 2, 0, 1))
            self.plain.reconstruction.bias.copy_(next(arrays))
            channels = self.plain.kernel.shape[1]
            self.plain.kernel.copy_(next(arrays))
            self.plain.masks.weight.copy_(next(arrays).permute(0, 2, 1).reshape(-1, channels))
            self.plain.masks.bias.copy_(next(arrays).reshape(-1))
            self.plain.bias.copy_(next(arrays))
            self.plain.multi_label.weight.copy_(next(arrays).T)
            self.plain.multi_label.bias.copy_(next(arrays))
        images = torch.from_numpy(found["images"]).permute(0, 3, 1, 2).float() / 255
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.labels = torch.from_numpy(found["labels"])
        return self._loss().item()

    def train(self, steps):
        self.plain.train()
        for _ in range(steps):
            self.optimizer.zero_grad()
            self._loss().backward()
            self.optimizer.step()

    def answer(self, times):
        self.plain.eval()
        with torch.inference_mode():
            for _ in range(times):
                logits, multi_label, *_ = self.network(self.images)
                logits.sigmoid(), multi_label.sigmoid()

    def _loss(self):
        return loss_of(self.network(self.images), self.images, self.labels, self.weights)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--attributes", type=int, default=40)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--front-end", type=int, nargs="+", required=True)
    parser.add_argument("--dilations", type=int, nargs="+", required=True)
    parser.add_argument("--weights", type=float, nargs=4, required=True, help="alpha, beta, gamma, lambda")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--compile", action="store_true")
    trainee = Trainee(parser.parse_args())
    for line in sys.stdin:
        asked, argument = line.split()
        if asked == "load":
            print(trainee.load(argument), flush=True)
            continue
        start = time.perf_counter()
        getattr(trainee, asked)(int(argument))
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
