"""What "within 1e-5" means: both sides fp32, one thread, the same kind of attention."""
import torch

TOLERANCE = 1e-5


def assert_close(name, got, want):
    """Logits and losses: max|a-b| <= 1e-5 * max(1, max|b|)."""
    got, want = torch.as_tensor(got), torch.as_tensor(want)
    assert got.dtype == torch.float32 or got.dim() == 0, f"{name}: {got.dtype}"
    assert got.shape == want.shape, f"{name}: shape {tuple(got.shape)}, want {tuple(want.shape)}"
    difference = (got.double() - want.double()).abs().max().item()
    bound = TOLERANCE * max(1.0, want.abs().max().item())
    assert difference <= bound, f"{name}: differs by {difference:.3g}, allowed {bound:.3g}"


def assert_gradients_close(got, want):
    """Each tensor: max|a-b| <= 1e-5 * max(max|b|, 1e-3 * largest gradient entry of the model)."""
    assert got.keys() == want.keys(), f"gradients of different tensors: {sorted(got.keys() ^ want.keys())}"
    largest = max(g.abs().max().item() for g in want.values())
    for name, gradient in want.items():
        assert got[name].shape == gradient.shape, name
        difference = (got[name].double() - gradient.double()).abs().max().item()
        bound = TOLERANCE * max(gradient.abs().max().item(), 1e-3 * largest)
        assert difference <= bound, f"gradient of {name}: differs by {difference:.3g}, allowed {bound:.3g}"


def assert_same_bits(name, got, want):
    """Same dtype, shape and bytes."""
    assert got.dtype == want.dtype and got.shape == want.shape, f"{name}: {got.dtype} {tuple(got.shape)}, want {want.dtype} {tuple(want.shape)}"
    same = torch.equal(got.contiguous().view(torch.uint8), want.contiguous().view(torch.uint8)) if got.dim() else torch.equal(got, want)
    assert same, f"{name}: {int((got != want).sum())} of {got.numel()} values differ"
