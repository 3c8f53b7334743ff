(async () => {
  const { specs, datasets } = JSON.parse(document.getElementById("drawn").textContent);
  for (const [name, spec] of Object.entries(specs)) {
    const element = document.getElementById(name);
    spec.datasets = Object.fromEntries(spec.datasets.map((key) => [key, datasets[key]]));
    spec.config.legend.columns = Math.max(1, Math.floor(element.clientWidth / 125));
    try {
      await vegaEmbed(element, spec, { renderer: "svg", actions: false });
    } catch (error) {
      element.textContent = "This chart could not be drawn: " + error;
      element.className = "failed";
    }
  }
})();
