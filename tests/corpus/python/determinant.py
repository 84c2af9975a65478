# SPDX-License-Identifier: MIT
"""Determinant and inverse of a matrix of whole numbers, in fractions."""
from fractions import Fraction


def handler(rows):
    size, determinant = len(rows), Fraction(1)
    matrix = [[Fraction(x) for x in row] + [Fraction(i == j) for j in range(size)]
              for i, row in enumerate(rows)]
    for i in range(size):
        pivot = next((j for j in range(i, size) if matrix[j][i]), None)
        if pivot is None:
            return {"determinant": "0", "inverse": None}
        if pivot != i:
            matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
            determinant = -determinant
        determinant *= matrix[i][i]
        matrix[i] = [x / matrix[i][i] for x in matrix[i]]
        for j in range(size):
            if j != i:
                matrix[j] = [x - matrix[j][i] * y for x, y in zip(matrix[j], matrix[i])]
    return {"determinant": str(determinant), "inverse": [list(map(str, row[size:]))
                                                         for row in matrix]}
