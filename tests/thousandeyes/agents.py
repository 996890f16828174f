"""All agents that a client reads, for tests that are not about their pages."""

from thousandeyes.client import ThousandEyesClient
from thousandeyes.models import Agent


async def every_agent(client: ThousandEyesClient) -> list[Agent]:
    return [agent async for page in client.agents() for agent in page.agents]
