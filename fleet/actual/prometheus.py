"""A Prometheus, asked by its query API for one figure a model. https://prometheus.io/docs/prometheus/latest/querying/api/

No figure is no figure: what it has no series for, or answers with NaN, is not there, and never zero.
"""

from __future__ import annotations

import json
import math
import os
from decimal import Decimal
from typing import Any

import httpx2

TOKEN = "PROMETHEUS_TOKEN"  # noqa: S105 - the name of a variable
# (namespace, model)
Key = tuple[str, str]


class PrometheusError(Exception):
    """It did not answer as a Prometheus does; the message says what, where and how to mend it."""


class Prometheus:
    """One server, or one that speaks its API: Thanos, Mimir, Google's and AWS's managed ones by their query address.

    Args:
        url: without `/api/v1`. A bearer token comes from $PROMETHEUS_TOKEN, where it is set.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        token = os.environ.get(TOKEN)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx2.Client(headers=headers, timeout=httpx2.Timeout(60, connect=10))

    def by_model(self, query: str, label: str = "model_name") -> dict[Key, Decimal]:
        """The value of each model of a query's vector.

        Args:
            label: the one that has the model's name.

        Raises:
            PrometheusError: no answer, a refusal, or something else than a vector.
        """
        data = self._ask(query)
        if data.get("resultType") != "vector":
            raise PrometheusError(f"{self.url} answered with {data.get('resultType')!r}, where a vector was asked for")
        found: dict[Key, Decimal] = {}
        for row in data["result"]:
            labels, value = row["metric"], float(row["value"][1])
            if math.isfinite(value) and label in labels:
                found[labels.get("namespace", ""), labels[label]] = Decimal(row["value"][1])
        return found

    def _ask(self, query: str) -> dict[str, Any]:
        mend = f"check --prometheus, and ${TOKEN} where it wants a token"
        try:
            reply = self._client.get(f"{self.url}/api/v1/query", params={"query": query})
            body = json.loads(reply.text)
        except httpx2.HTTPError as lost:
            raise PrometheusError(f"{self.url} does not answer: {lost}; {mend}") from None
        except ValueError:
            raise PrometheusError(f"{self.url} answered {reply.status_code} and no JSON: it is no Prometheus; {mend}") from None
        if not isinstance(body, dict) or body.get("status") != "success":
            said = body.get("error", "no reason") if isinstance(body, dict) else "no reason"
            raise PrometheusError(f"{self.url} refused ({reply.status_code}): {said}\nthe query was {query}")
        data = body.get("data")
        if not isinstance(data, dict):
            raise PrometheusError(f"{self.url} answered without data: it is no Prometheus; {mend}")
        return data
