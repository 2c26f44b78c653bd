"""Judging outside the loop: any model, any rubric, any responses."""
