(async () => {
  const { specs, datasets } = JSON.parse(document.getElementById("drawn").textContent);
  for (const [name, spec] of Object.entries(specs)) {
    const element = document.getElementById(name);
    spec.datasets = Object.fromEntries(spec.datasets.map((key) => [key, datasets[key]]));
    // a legend has as many columns as there is room for, by about 7 px a letter
    const names = (spec.layer?.[0] ?? spec).encoding.color?.scale?.domain ?? [];
    const widest = 40 + 7 * Math.max(...names.map((words) => words.length));
    spec.config.legend.columns = Math.max(1, Math.floor((element.clientWidth - 40) / widest));
    try {
      await vegaEmbed(element, spec, { renderer: "svg", actions: false });
    } catch (error) {
      element.textContent = "This chart could not be drawn: " + error;
      element.className = "failed";
    }
  }
})();
