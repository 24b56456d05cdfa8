"""Graphs of calls: `.bind(...)` describes a call without making it, and `.execute(...)` makes all calls of a graph.

Example:
    with InputNode() as number:
        graph = add.bind(double.bind(number), 1)
    ref = graph.execute(20)  # 41

Source: Ray's page "Lazy Computation Graphs with the Ray DAG API".
"""

from __future__ import annotations

from nbactors.dag.class_node import ClassMethodNode, ClassNode
from nbactors.dag.function_node import FunctionNode
from nbactors.dag.input_node import DAGInputData, InputAttributeNode, InputNode
from nbactors.dag.node import DAGNode
from nbactors.dag.output_node import MultiOutputNode

__all__ = [
    "ClassMethodNode",
    "ClassNode",
    "DAGInputData",
    "DAGNode",
    "FunctionNode",
    "InputAttributeNode",
    "InputNode",
    "MultiOutputNode",
]
